package cli

// Version is the version of the suite. A release build sets it with
// -ldflags "-X iwx/lib/cli.Version=1.2.3"; nothing else writes it.
var Version = "0.1.0"
