"""Run directories on disks and in object stores, as a trial sees them."""
