"""Every error that edge-rt raises on purpose. `except EdgeError` catches all of them and nothing else.

    EdgeError
    ├── BundleError                 a .edge file that must not be run
    │   ├── BundleMagicError        not a .edge file
    │   ├── BundleVersionError      written by a newer format
    │   ├── BundleTruncatedError    ends before what its header declares
    │   ├── BundleChecksumError     bytes differ from their SHA-256
    │   ├── BundleHeaderError       the header is not the msgpack the format allows
    │   ├── BundleSchemaError       the header lacks a field, or a field has the wrong type or value
    │   ├── BundleLayoutError       tensors overlap, leave holes or lie outside the file
    │   ├── BundleLimitError        beyond a limit of the format
    │   └── BundleOpError           an operator or operator version this runtime does not know
    ├── GraphError                  a graph that is not well formed
    │   └── InferenceError          an operator that does not accept its inputs or attributes
    ├── SymbolicDimError            a decision that depends on a dimension not yet known
    ├── ModelError                  use of a loaded model
    │   ├── InputError              an input of a call: wrong name, dtype, shape or value
    │   ├── SignatureError          no signature, or several, match the inputs
    │   ├── MemoryLimitError        would need more memory than allowed
    │   ├── DataError               the content of a tensor is out of range (an index, a divisor)
    │   └── ClosedError             the model was closed
    ├── TargetError                 no machine code for this CPU, or it may not be mapped
    │   └── CodeImageError          a code image that must not be run
    ├── CodegenError                a kernel that does not compile into a code image
    ├── AuthoringError              wrong use of variables, modules or functions on the training side
    │   ├── TracingError            a value that only a call tells, where Python needs it while tracing
    │   └── CheckpointError         a checkpoint that is damaged, or does not fit the objects
    ├── ImporterError               a source model that cannot be read
    │   └── UnsupportedError        operators or types this project does not support; lists them all
    ├── DeviceError                 a board that is not known, a malformed profile, a model that does not fit
    └── VerificationError           outputs differ from the source model's
"""

from __future__ import annotations


class EdgeError(Exception):
    """Root of all errors raised on purpose by edge_rt and exporter."""


class BundleError(EdgeError):
    """A .edge file that must not be run."""


class BundleMagicError(BundleError):
    """The bytes are not a .edge file."""


class BundleVersionError(BundleError):
    """The file was written in a newer format."""


class BundleTruncatedError(BundleError):
    """The file ends before what its header declares."""


class BundleChecksumError(BundleError):
    """Bytes differ from the SHA-256 that was stored for them."""


class BundleHeaderError(BundleError):
    """The header is not the subset of msgpack that the format allows."""


class BundleSchemaError(BundleError):
    """The header lacks a field, or a field has the wrong type or value."""


class BundleLayoutError(BundleError):
    """Tensors overlap, leave holes or lie outside the file."""


class BundleLimitError(BundleError):
    """A count or a size beyond a limit of the format."""


class BundleOpError(BundleError):
    """An operator, or a version of one, that this runtime does not know."""


class GraphError(EdgeError):
    """A graph that is not well formed."""


class InferenceError(GraphError):
    """An operator that does not accept its inputs or attributes."""


class SymbolicDimError(EdgeError):
    """A decision that depends on a dimension whose size is not yet known."""


class ModelError(EdgeError):
    """Wrong use of a loaded model."""


class InputError(ModelError):
    """An input of a call has a wrong name, dtype, shape or value."""


class SignatureError(ModelError):
    """No signature, or more than one, matches the inputs of a call."""


class MemoryLimitError(ModelError):
    """A model would need more memory than it was allowed."""


class DataError(ModelError):
    """The content of a tensor is out of range, for example an index."""


class ClosedError(ModelError):
    """The model was closed."""


class TargetError(EdgeError):
    """No machine code fits this CPU, or the system refuses to map it."""


class CodeImageError(TargetError):
    """A code image that must not be run."""


class CodegenError(EdgeError):
    """A kernel that does not compile into a code image."""


class AuthoringError(EdgeError):
    """Variables, modules or functions are used in a way they do not support."""


class TracingError(AuthoringError):
    """Python needs the contents of a tensor that only a call of the traced function tells."""


class CheckpointError(AuthoringError):
    """A checkpoint is damaged or incomplete, or its values do not fit the objects."""


class ImporterError(EdgeError):
    """A source model that cannot be read."""


class UnsupportedError(ImporterError):
    """Operators or types that this project does not support; the message lists all of them."""


class DeviceError(EdgeError):
    """A board that is not known, a board profile that is not well formed, or a model that does not fit a board."""


class VerificationError(EdgeError):
    """Outputs differ from those of the source model."""
