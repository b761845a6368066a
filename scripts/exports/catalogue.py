"""All exports, in the order in which they are made."""

import vision  # noqa: F401
import detection  # noqa: F401
import language  # noqa: F401
import transformers_vision  # noqa: F401
import sequences  # noqa: F401
import tabular  # noqa: F401
from common import ENTRIES  # noqa: F401
