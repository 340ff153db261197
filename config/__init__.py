"""What differs from one installation to the next: settings, clock, logging, and samples for deployment.

The lowest floor: it imports the standard library and the settings library, and nothing else of this tree.
"""
