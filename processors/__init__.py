"""The pipelines of this project, one a module; `penstock run NAME` runs them. What they use stands beside them."""
