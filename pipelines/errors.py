"""What can go wrong, as a tree; every room raises from here.

    GroundworkError                exit code 1: it failed, and the message says what to look at
    +-- UserError                  exit code 2: the caller can mend it, and the message says how
    |   +-- SettingsError          an unknown key, a value out of range, a file that is not there
    |   +-- SourceError            a folder or file to read from that is missing or unreadable
    |   +-- QuestionFileError      a question file, golden prompts, attacks or item table with a bad line
    |   +-- DatasetError           too little to train on, a document in two splits
    |   +-- ModelError             a model that is missing, or whose digest is not the pinned one
    |   +-- IndexMismatchError     an index built with another embedding model, or no index at all
    |   +-- PolicyError            a gate or release policy that cannot be applied
    |   +-- JudgeError           judges or labels that cannot be used, a judge no better than chance
    |   +-- DecisionError          an approval, rejection or rollback that the rules forbid
    |   +-- PortInUseError         a port that another program holds
    |   `-- DataVersionError       DVC refuses: no repository, no remote, a lock that stays held
    +-- DocumentError              one document cannot be read: it goes to quarantine, the run goes on
    +-- StageError                 a stage could not write or swap in its output
    `-- EngineError                a generation engine or upstream failed

Vendor exceptions are wrapped where they are called: `raise SourceError(...) from exc`.
"""


class GroundworkError(Exception):
    """The root: `exit_code` is what the CLI exits with."""

    exit_code = 1


class UserError(GroundworkError):
    """The caller can mend it; shown without a traceback."""

    exit_code = 2


class SettingsError(UserError):
    """Configuration that cannot be used; names the key, the value and the nearest known key."""


class SourceError(UserError):
    """A source folder, file or address that cannot be read."""


class QuestionFileError(UserError):
    """A JSON Lines input with a bad line; names file, line and rule."""


class DatasetError(UserError):
    """A dataset that would teach nothing or leak."""


class ModelError(UserError):
    """A base, embedding or adapter model that is missing or not what was pinned."""


class IndexMismatchError(UserError):
    """An index that is absent or was built with another embedding model."""


class PolicyError(UserError):
    """A policy file that is malformed or asks for what cannot be measured."""


class JudgeError(UserError):
    """A rubric, judge or set of labels that cannot be used, or a judge whose errors cannot be corrected."""


class DecisionError(UserError):
    """A decision that the rules of release forbid."""


class PortInUseError(UserError):
    """A port that is already held."""


class DataVersionError(UserError):
    """DVC could not do what was asked."""


class DocumentError(GroundworkError):
    """One document cannot be read; carries the reason that quarantine shows."""


class StageError(GroundworkError):
    """A stage could not finish its output folder."""


class EngineError(GroundworkError):
    """A generation engine failed on a batch."""
