"""The methods, one folder each, named as in the papers; what they share; the store of model files."""
