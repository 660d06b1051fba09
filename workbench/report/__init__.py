"""What a run looks like: charts, the tear sheet and the reports that papermill writes."""
