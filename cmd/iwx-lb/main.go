// Iwx-lb is load balancing, iwx-lb(8).
package main

import (
	"os"

	"iwx/lib/cli"
	"iwx/lib/tool/lbtool"
)

func main() { os.Exit(cli.Main(lbtool.Tool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
