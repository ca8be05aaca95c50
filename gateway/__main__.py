"""`python -m gateway` is `passerelle`."""

from gateway.entry import main

main()
