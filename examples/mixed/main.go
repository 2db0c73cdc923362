// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Command mixed sends one workflow through two transports: a deployer asks a gate over HTTP
// to release something, the gate asks a health service over gRPC, and that asks the service
// in question over HTTP. Each has a key and an identity of its own. It prints the graph of
// what was done, checks every signature and every edge of it, and exits 0 only if it has
// exactly the shape that the calls have.
//
//	go run ./examples/mixed             everything signed
//	go run ./examples/mixed -level L1   the same without signatures
//
// Where OTEL_EXPORTER_OTLP_ENDPOINT names a collector, such as http://127.0.0.1:4318, they
// send it their traces, which are one; -correlation says what those tell of the tokens.
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
	"slices"
	"syscall"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mixed example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("examples/mixed", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("level", "L2", "level that everybody issues at and asks for, `L1 or L2`")
	policy := demo.Correlation(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	level, err := core.ParseLevel(*name)
	if err != nil || level == core.L3 {
		return errors.New("-level is L1 or L2")
	}
	to, err := demo.NewTelemetry("examples/mixed", demo.Together(*policy), slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	c, err := newChain(ctx, to)
	if err != nil {
		return err
	}
	return errors.Join(c.show(ctx, level, stdout), c.close())
}

// show sends a release through the chain and shows what came of it.
func (c *chain) show(ctx context.Context, level core.Level, stdout io.Writer) error {
	for _, p := range c.parties() {
		p.policy.MinLevel = level
	}
	if err := c.join(); err != nil {
		return err
	}
	c.start() //nolint:contextcheck // servers stop when ctx may be done already

	out := demo.NewPrinter(stdout)
	out.Line("A release is asked for over HTTP, gRPC and HTTP again.")
	v, err := c.deploy(ctx, release{Service: "billing", Version: "2.1.0"})
	if err != nil {
		return err
	}
	out.Line("Release of billing 2.1.0: %s (%s).\n", v.Decision, v.Reason)

	tokens := c.tokens()
	g := c.graph(tokens)
	out.Line("What was recorded, in the order it was issued:\n")
	out.Do(g.Table)
	out.Line("\nThe same as a Mermaid diagram:\n")
	out.Do(g.Mermaid)
	if level == core.L1 {
		out.Line("\nNothing is signed at L1: this is what everybody claims.")
	} else {
		if err := g.Check(); err != nil {
			return err
		}
		out.Line("\nChecked with go-jose and the public keys alone: %d signatures and every edge.", g.Len())
	}
	if err := shape(g, tokens, approved); err != nil {
		return err
	}
	out.Line("It is one workflow, and every answer comes after its call and after all that was done for it.")
	out.Line("\nAll as it should be.")
	return out.Err()
}

// place is where a token stands in the graph: what it says, see [demo.Graph.Label], and which
// ones it comes after, counted from 1 in the order of issuing.
type place struct {
	label string
	after []int
}

// approved is the graph of a release that nothing went wrong with.
var approved = []place{
	{"deployer calls gate", nil},
	{"gate calls health", []int{1}},
	{"health calls billing", []int{2}},
	{"billing: GET /status", []int{3}},
	{"health: grpc.health.v1.Health/Check", []int{2, 4}},
	{"gate: POST /releases", []int{1, 5}},
	{"deployer: deploy", []int{6}},
}

// shape tells whether the graph is this one and no other, bound by digest at every edge, and
// all of it one workflow.
func shape(g *demo.Graph, tokens []*core.Issued, want []place) error {
	if g.Len() != len(want) {
		return fmt.Errorf("%d tokens were issued, not %d", g.Len(), len(want))
	}
	for n, p := range want {
		at, after, err := g.Find(p.label)
		switch {
		case err != nil:
			return err
		case at != n+1 || !slices.Equal(after, p.after):
			return fmt.Errorf("%q is number %d after %v, not number %d after %v", p.label, at, after, n+1, p.after)
		case tokens[n].Claims().Workflow != tokens[0].Claims().Workflow:
			return fmt.Errorf("%q is of another workflow", p.label)
		case !bound(tokens[n], tokens):
			return fmt.Errorf("%q comes after another token than the one of that id", p.label)
		}
	}
	return nil
}

// bound tells whether what a token comes after is among these, each with the digest that it
// states.
func bound(t *core.Issued, among []*core.Issued) bool {
	c := t.Claims()
	for i, id := range c.Pred {
		if !slices.ContainsFunc(among, func(p *core.Issued) bool {
			return p.Claims().TaskID == id && p.Digest().Short() == c.Ext.PredDigests[i]
		}) {
			return false
		}
	}
	return true
}
