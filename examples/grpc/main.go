// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Command grpc runs an order through gRPC services of three vendors, each with a key and an
// identity of its own: a shop asks a planner, which asks a forecaster and a carrier side by
// side, over a stream each, and plans with what both say. Every service verifies what it is
// given, does its work, and leaves an Execution Context Token that anyone can check. It
// prints the graph of what was done, shows what is refused, and exits 0 only if all of it
// was as it should be.
//
//	go run ./examples/grpc           an order for a week
//	go run ./examples/grpc -days N   one for another time
//	go run ./examples/grpc -serve ADDR -trust FILE -audience URI [-min-level L1|L2]
//
// The last form runs one service, with reflection and health, for grpcurl.
//
// Where OTEL_EXPORTER_OTLP_ENDPOINT names a collector, such as http://127.0.0.1:4318, the
// services send it their traces; -correlation says what those tell of the tokens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "grpc example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("examples/grpc", flag.ContinueOnError)
	flags.SetOutput(stderr)
	days := flags.Uint("days", 7, fmt.Sprintf("order for `N` days, from 1 to %d", maxDays))
	addr := flags.String("serve", "", "run one service on `ADDR`, such as 127.0.0.1:8080")
	trust := flags.String("trust", "", "`FILE` with a JSON object from issuer URI to JWK Set, for -serve")
	audience := flags.String("audience", "", "`URI` that the service is, for -serve")
	level := flags.String("min-level", "L2", "minimum level, `L1 or L2`, for -serve")
	policy := demo.Correlation(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case given["serve"] && *addr == "":
		return errors.New("-serve needs an address, such as 127.0.0.1:8080")
	case given["serve"] && given["days"]:
		return errors.New("-serve and -days exclude each other")
	case !given["serve"] && (given["trust"] || given["audience"] || given["min-level"]):
		return errors.New("-trust, -audience and -min-level are for -serve")
	case *days < 1 || *days > maxDays:
		return fmt.Errorf("-days is from 1 to %d", maxDays)
	}
	if *addr == "" {
		*policy = demo.Together(*policy)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	to, err := demo.NewTelemetry("examples/grpc", *policy, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	if *addr != "" {
		c := demo.Standalone{Trust: *trust, Audience: *audience, Level: *level, Name: "grpc"}
		return serve(ctx, *addr, c, to, log, stdout)
	}
	return demonstrate(ctx, order(*days), to, stdout)
}

// order is what the shop orders.
func order(days uint) *examplepb.PlanRequest {
	return &examplepb.PlanRequest{Product: "oat milk", Destination: "Hamburg", Days: uint32(days), Stock: 250}
}
