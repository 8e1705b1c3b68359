"""Times in the console as logs write them: to the second, in UTC, sortable by eye."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i:s"
TIME_FORMAT = "H:i:s"
