"""The sample pipelines, registered."""

from recovery.demo.expenses.batch import ExpenseBatchInput, expense_batch
from recovery.demo.release_notes import ReleaseNotesInput, release_notes
from recovery.demo.table_load import TableLoadInput, table_load
from recovery.pipelines import pipeline

pipeline("release-notes", input_model=ReleaseNotesInput, title="Release notes", version="1")(release_notes)
pipeline("table-load", input_model=TableLoadInput, title="Table load", version="1")(table_load)
pipeline("expense-batch", input_model=ExpenseBatchInput, title="Expense batch", version="1")(expense_batch)
