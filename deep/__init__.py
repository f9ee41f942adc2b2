"""The training studies: one file a table or figure, recipes one a table cell, results from committed records."""
