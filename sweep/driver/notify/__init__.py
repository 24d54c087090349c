"""Telling people how a study goes: the study file's `notify`. No message delays or harms the study.

message    what is told, in words and as values
deciding   what is due to be told, and when: no clock, no I/O
channels   one way to tell: macos, webhook, ntfy, command
secrets    what the environment and the keychain hold
choosing   the study file's `notify` -> channels, and what is wrong with it
notifier   a thread for each channel; what was told goes into the log
"""
