"""Slots that studies share.

releasing  slots on their way back to other studies
"""
