"""Files that a person writes: YAML 1.2 that knows its lines, quantities, and problems that say what to do.

Shared by study files (`sweep`) and inventories of Macs (`clusters`); knows nobody.
"""
