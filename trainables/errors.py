"""The exceptions of the project, and their exit codes.

    OneOrManyError
    ├── InputError               bad input: exit code 2, nothing has been trained
    │   ├── ConfigError          a key, a value or a combination of them
    │   ├── DataError            a task's data: folder, file, row, label, Hub
    │   ├── EncoderError         an encoder or its tokenizer: weights, checksum, Hub
    │   ├── ResourceError        not enough CPUs, GPUs, memory or disk
    │   └── RunDirectoryError    a run directory that cannot be used
    ├── RayLostError             Ray died under a running grid: exit code 1
    ├── ClusterLostError         the cluster no longer answers ``submit``: exit code 1
    ├── LockLostError            another command took the run directory over: exit code 1
    └── TrialError               one trial failed: exit code 1, the grid goes on
        ├── DivergedError        the loss, the gradients or the weights became NaN or infinite
        ├── CheckpointError      a checkpoint that cannot be read or written
        └── StorageError         the run directory is gone or full

Messages are one line for a human: they name the key or file and say what to do.
"""


class OneOrManyError(Exception):
    """Base of all the project's own errors."""


class InputError(OneOrManyError):
    """Bad input, detected before anything is trained."""


class ConfigError(InputError):
    """A configuration key, value or combination that cannot be used."""


class DataError(InputError):
    """A task's data that is missing, malformed or out of reach."""


class EncoderError(InputError):
    """An encoder or tokenizer that is missing, damaged or out of reach."""


class ResourceError(InputError):
    """A request that the machine or cluster cannot satisfy."""


class RunDirectoryError(InputError):
    """A run directory that cannot be used for this experiment."""


class RayLostError(OneOrManyError):
    """Ray died while a grid was running; finished trials are kept."""


class ClusterLostError(OneOrManyError):
    """The cluster no longer answers; a job on it keeps running."""


class LockLostError(OneOrManyError):
    """Another command took over the run directory while this one was suspended."""


class TrialError(OneOrManyError):
    """One trial failed; the others go on."""


class DivergedError(TrialError):
    """The loss, the gradients or the weights became NaN or infinite."""


class CheckpointError(TrialError):
    """A checkpoint that is damaged, belongs to another trial or cannot be written."""


class StorageError(TrialError):
    """The run directory is gone or full."""


class RenamedKeyWarning(FutureWarning):
    """A preset or an override uses the old name of a configuration key."""
