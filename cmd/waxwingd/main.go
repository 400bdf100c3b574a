package main

import (
	"os"

	"waxwing/relay/daemon"
)

func main() { os.Exit(daemon.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
