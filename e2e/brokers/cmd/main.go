// Command cmd starts and stops the brokers that tests share: up, down, install;
// running says by its exit code whether they answer.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	root, err := brokers.Root()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "up":
		return brokers.Up(ctx, root, os.Stdout)
	case len(args) == 1 && args[0] == "down":
		return brokers.Down(ctx, root)
	case len(args) == 1 && args[0] == "running":
		return brokers.Running(root)
	case len(args) == 1 && args[0] == "install":
		return brokers.Install(ctx, os.Stdout)
	}
	return fmt.Errorf("want one of: up, down, running, install")
}
