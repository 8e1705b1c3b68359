"""What a template and its data may be, and what one rendering may cost."""

# Of each part of a template, in bytes: subject, html, text.
MAX_SOURCE_BYTES = 256 * 1024
# `{{ ... }}` and `{% ... %}` in one part, the characters of one, and what of it makes the lexer look ahead.
MAX_MARKUPS = 2_000
MAX_MARKUP_LENGTH = 2_000
MAX_BLANKS = 200
MAX_OPENINGS = 40
MAX_VARIABLES = 500
# Of all their names together, because lists, answers and events carry them.
MAX_NAMES_BYTES = 16 * 1024
# What may be missing in one part: a path with a variable in it has another name with each value.
MAX_MISSING = 500
MAX_MISSING_CHARACTERS = 50_000

# Of the data: nested lists and objects, the weight of all of it (see `values.weigh`), the digits of a number.
MAX_DATA_DEPTH = 32
MAX_DATA_WEIGHT = 1_500_000
MAX_NUMBER_BITS = 133  # forty digits

# Of one rendered part, in bytes, and the longest subject line (RFC 5322, 2.1.1).
MAX_OUTPUT_BYTES = 1_000_000
MAX_SUBJECT = 998
# Of rendered HTML, which is read tag by tag.
MAX_TAGS = 30_000

# One step is about a tenth of a microsecond, so that the dearest rendering that is allowed takes about 0.1 s.
MAX_STEPS = 700_000
STEPS_PER_NODE = 10
STEPS_PER_EXPRESSION = 8
STEPS_PER_FILTER = 20
STEPS_PER_DATE = 400
WEIGHT_PER_STEP = 16
# Of lists and objects, which are weighed member by member.
LIST_WEIGHT_PER_STEP = 6
# What a filter may take in or give back, and what all assigned variables may weigh together.
MAX_WEIGHT = 1_000_000
MAX_ASSIGNED = 500
MAX_RANGE = 1_000
MAX_DATE_LENGTH = 64
MAX_DATE_FORMAT = 100
