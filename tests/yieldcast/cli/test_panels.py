"""Every option of every command is in a panel of the help, and every command too."""

from typer.core import TyperOption
from typer.main import get_command

from yieldcast.cli.app import app


def commands(group, words=()):
    for name, one in group.commands.items():
        yield (*words, name), one
        yield from commands(one, (*words, name)) if hasattr(one, "commands") else ()


def test_every_command_and_option_has_a_panel():
    root = get_command(app)
    assert len(dict(commands(root))) > 10
    assert [name for name, one in root.commands.items() if not one.rich_help_panel] == []
    lost = [
        f"{' '.join(words)} --{option.name}"
        for words, one in commands(root)
        for option in one.params
        if isinstance(option, TyperOption) and not option.hidden and not option.rich_help_panel
    ]
    assert lost == []
