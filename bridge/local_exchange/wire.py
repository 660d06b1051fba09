"""JSON as the exchange writes it: compact, by one encoder that is made once."""

from __future__ import annotations

import json

# Answers are trees that the exchange made itself: looking for circles in them is time lost.
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
