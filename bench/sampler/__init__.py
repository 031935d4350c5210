"""Counts where the processes of a stack spend their processor time, from inside, without a change to them."""
