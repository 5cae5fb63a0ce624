"""What NIM and AIX are asked, and how their answers are read.  Knows no peers and no jobs."""
