// Command iwx-node adds, shows and deletes the nodes of the cluster, iwx-node(8).
package main

import (
	"os"

	"iwx/lib/cli"
	"iwx/lib/tool/nodetool"
)

func main() { os.Exit(cli.Main(nodetool.Tool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
