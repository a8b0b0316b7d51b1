"""Models of strangers run here: walls from the kernel, one process per job, training, and a meter of compute.

`Confinement` says what is enforced and starts `Sandbox`, which keeps one process that has imported TensorFlow
and forks a child for each job. The child raises its own walls before it reads a byte of a submission.
"""

from yieldcast.workspace.sandbox.confinement import Confinement as Confinement
from yieldcast.workspace.sandbox.job import Outcome as Outcome
from yieldcast.workspace.sandbox.job import SandboxJob as SandboxJob
from yieldcast.workspace.sandbox.job import run_job as run_job
from yieldcast.workspace.sandbox.process import Sandbox as Sandbox
