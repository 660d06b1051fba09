"""Studies: symbols x intervals x windows x strategies x parameter sets, the headline among them."""
