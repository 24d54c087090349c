"""What keeps run directories small and sound.

remove   delete checkpoints
verify   read every file, say what is sound, rebuild what can be
"""
