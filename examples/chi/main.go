// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Command chi runs a document through a chain of chi services of four vendors, each with
// a key and an identity of its own: intake, then classify and redact side by side, then
// approve. Every service verifies what it is given, does its work, and leaves an
// Execution Context Token that anyone can check. It prints the graph of what was done,
// shows what is refused, and exits 0 only if all of it was as it should be.
//
//	go run ./examples/chi            a document that ships with the example
//	go run ./examples/chi -in FILE   one's own
//	go run ./examples/chi -serve ADDR -trust FILE -audience URI [-min-level L1|L2]
//
// The last form runs one service, for curl and for other languages' JOSE libraries.
//
// Where OTEL_EXPORTER_OTLP_ENDPOINT names a collector, such as http://127.0.0.1:4318, the
// services send it their traces; -correlation says what those tell of the tokens.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-ect/ect/examples/internal/demo"
)

//go:embed testdata/discharge.txt
var shipped []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chi example:", err)
		os.Exit(1)
	}
}

// maxDocument is how long a document may be, in bytes.
const maxDocument = 4 << 20

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("examples/chi", flag.ContinueOnError)
	flags.SetOutput(stderr)
	in := flags.String("in", "", "run `FILE` through the pipeline instead of the document that ships with the example")
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
	case given["serve"] && given["in"]:
		return errors.New("-serve and -in exclude each other")
	case !given["serve"] && (given["trust"] || given["audience"] || given["min-level"]):
		return errors.New("-trust, -audience and -min-level are for -serve")
	}
	if *addr == "" {
		*policy = demo.Together(*policy)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	to, err := demo.NewTelemetry("examples/chi", *policy, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	if *addr != "" {
		c := demo.Standalone{Trust: *trust, Audience: *audience, Level: *level, Name: "chi"}
		return serve(ctx, *addr, c, to, log, stdout)
	}
	document := shipped
	if *in != "" {
		f, err := os.Open(*in)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // read only
		if document, err = io.ReadAll(io.LimitReader(f, maxDocument+1)); err != nil {
			return err
		}
		if len(document) > maxDocument {
			return fmt.Errorf("%s is longer than %d bytes", *in, maxDocument)
		}
	}
	return demonstrate(ctx, document, to, stdout)
}
