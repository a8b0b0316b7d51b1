"""Progress bars from Python."""

import yieldcast
from yieldcast.training.trainer import Epoch


def test_bars_need_no_console_and_print_lines_without_a_terminal(capsys):
    with yieldcast.training_progress(2) as update:
        update(Epoch(members=1, seed=7, epoch=1, best_loss=0.5, finished=False))
        update(Epoch(members=1, seed=7, epoch=2, best_loss=0.25, finished=True))
    assert "training, member done: seed 7 epoch 2 best 0.2500" in capsys.readouterr().out
    with yieldcast.counting_progress("scoring members") as progress:
        progress(1, 2)
        progress(2, 2)
    assert capsys.readouterr().out.strip() == ""
