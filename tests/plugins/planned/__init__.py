"""What a new command gets of all that planned commands have, without any of it knowing the command."""
