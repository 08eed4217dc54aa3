package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	s, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		exit(2, err)
	}
	c, err := newConsumer(s)
	if err != nil {
		exit(2, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err = c.Run(ctx)
	fmt.Println("consumer:", c.Counts())
	if err != nil {
		exit(1, fmt.Errorf("%w\nNothing is lost: mend this and start it again", err))
	}
}

func exit(code int, err error) {
	fmt.Fprintln(os.Stderr, "consumer:", err)
	os.Exit(code)
}
