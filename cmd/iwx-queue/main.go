// Iwx-queue is the command queue of the cluster, iwx-queue(8).
package main

import (
	"os"

	"iwx/lib/cli"
	"iwx/lib/tool/queuetool"
)

func main() { os.Exit(cli.Main(queuetool.Tool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
