"""Pictures of what a store answers, for the command line and for pages."""
