"""The simulated AIX: one model of NIM and of the commands around it.

A command is a function of its arguments and a :class:`world.World`; it never sees a socket, a
process or a clock.  This package imports nothing of the project and little of the standard library
(no dataclasses, no typing at run time): as executables its modules are loaded once per command.
"""
