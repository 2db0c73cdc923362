// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
)

// demonstrate starts the services, shows what they do, and stops them.
func demonstrate(ctx context.Context, req *examplepb.PlanRequest, to *demo.Telemetry, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := newChain(ctx, to)
	if err != nil {
		return err
	}
	return errors.Join(c.show(ctx, req, stdout), c.close())
}

// show orders and shows what came of it.
func (c *chain) show(ctx context.Context, req *examplepb.PlanRequest, stdout io.Writer) error {
	out := demo.NewPrinter(stdout)
	out.Line("A shop in %s orders %s for %d days from services of three vendors.", req.GetDestination(), req.GetProduct(), req.GetDays())
	plan, answer, err := c.order(ctx, req)
	if err != nil {
		return err
	}
	if plan.GetPallets() > 0 {
		out.Line("Plan: %d pallets from %s, there on day %d, for EUR %d.%02d.", plan.GetPallets(), plan.GetOrigin(),
			plan.GetArrivalDay(), plan.GetCostCents()/100, plan.GetCostCents()%100)
	}
	out.Line("Decision: %s (%s).", plan.GetDecision(), plan.GetReason())
	record := answer.Heads()[0]
	out.Line("The planner's record of it came with the answer: %s, at %s.\n", record.Claims().TaskID.String()[:8], record.Level())

	g := demo.NewGraph(c.parties(), c.tokens())
	out.Line("What was recorded, in the order it was issued:\n")
	out.Do(g.Table)
	out.Line("\nThe same as a Mermaid diagram:\n")
	out.Do(g.Mermaid)
	if err := g.Check(); err != nil {
		return err
	}
	if err := c.shape(g); err != nil {
		return err
	}
	out.Line("\nChecked with go-jose and the public keys alone: %d signatures and every edge.", g.Len())
	out.Line("The two streams begin together, stand apart and meet in the plan.\n")

	out.Line("What is refused:\n")
	attempts, err := c.attempts(ctx, req)
	if err != nil {
		return err
	}
	var wrong error
	out.Do(func(w io.Writer) error {
		wrong = demo.Attempts(ctx, w, attempts)
		return wrong
	})
	if wrong != nil {
		return wrong
	}
	out.Line("\nAll as it should be.")
	return out.Err()
}

// shape tells whether the graph is that of one order and nothing else.
func (c *chain) shape(g *demo.Graph) error {
	const whole = 7 // three calls, and four tasks
	if g.Len() != whole {
		return fmt.Errorf("%d tokens were issued, not %d", g.Len(), whole)
	}
	return g.SideBySide(
		[2]string{"planner calls forecaster", "planner calls carrier"},
		[2]string{
			"forecaster: ect.example.v1.ForecastService/Forecast",
			"carrier: ect.example.v1.CarrierService/Quote",
		},
		"planner: ect.example.v1.PlannerService/Plan", "shop calls planner",
	)
}
