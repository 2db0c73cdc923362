// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/grpcect"
)

// chain is the three services, and the shop that orders.
type chain struct {
	shop, planner, forecaster, carrier *agent

	mu     sync.Mutex
	issued []*core.Issued
}

func (c *chain) agents() []*agent {
	return []*agent{c.shop, c.planner, c.forecaster, c.carrier}
}

// parties is who an auditor knows.
func (c *chain) parties() []demo.Party {
	var all []demo.Party
	for _, a := range c.agents() {
		all = append(all, demo.Party{Name: a.name, Identity: a.identity, Key: a.key.Public()})
	}
	return all
}

// newChain starts the services.
func newChain(ctx context.Context, to *demo.Telemetry) (*chain, error) {
	c := &chain{}
	if err := c.start(ctx, to); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *chain) start(ctx context.Context, to *demo.Telemetry) error {
	for _, a := range []struct {
		to             **agent
		name, identity string
	}{
		{&c.shop, "shop", "spiffe://grocer.example/shops/hamburg-7"},
		{&c.planner, "planner", "spiffe://planning.example/agents/planner"},
		{&c.forecaster, "forecaster", "spiffe://demand.example/tools/forecaster"},
		{&c.carrier, "carrier", "spiffe://freight.example/tools/carrier"},
	} {
		made, err := newAgent(ctx, a.name, a.identity, to)
		if err != nil {
			return err
		}
		*a.to = made
	}
	works := map[*agent][]*agent{
		c.shop:       {c.planner},
		c.planner:    {c.shop, c.forecaster, c.carrier},
		c.forecaster: {c.planner}, c.carrier: {c.planner},
	}
	for a, peers := range works {
		if err := a.join(c.agents(), peers, core.Observer{Issued: c.keep}); err != nil {
			return err
		}
	}
	toForecaster, err1 := c.planner.connect(c.forecaster)
	toCarrier, err2 := c.planner.connect(c.carrier)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c.forecaster.serve(func(r grpc.ServiceRegistrar) { examplepb.RegisterForecastServiceServer(r, forecaster{}) })
	c.carrier.serve(func(r grpc.ServiceRegistrar) { examplepb.RegisterCarrierServiceServer(r, carrier{}) })
	c.planner.serve(func(r grpc.ServiceRegistrar) {
		examplepb.RegisterPlannerServiceServer(r, &planner{
			identity:  c.planner.identity,
			forecasts: examplepb.NewForecastServiceClient(toForecaster),
			carriers:  examplepb.NewCarrierServiceClient(toCarrier),
		})
	})
	return nil
}

func (c *chain) close() error {
	var errs []error
	for _, a := range c.agents() {
		if a != nil {
			errs = append(errs, a.close())
		}
	}
	return errors.Join(errs...)
}

// keep collects every token that any of the services issued, in order.
func (c *chain) keep(_ context.Context, i *core.Issued) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued = append(c.issued, i)
}

func (c *chain) tokens() []*core.Issued {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.issued)
}

// order asks the planner, as work that no call started, and returns what the planner's
// record of it says as well.
func (c *chain) order(ctx context.Context, req *examplepb.PlanRequest) (*examplepb.PlanResponse, *core.Received, error) {
	cc, err := c.shop.connect(c.planner)
	if err != nil {
		return nil, nil, err
	}
	ctx, task, err := c.shop.service.StartTask(ctx, "restock")
	if err != nil {
		return nil, nil, err
	}
	var answer *core.Received
	plan, callErr := examplepb.NewPlannerServiceClient(cc).Plan(ctx, req, grpcect.Answer(&answer))
	outcome := core.OutcomeOK
	if callErr != nil {
		outcome = core.OutcomeError
	}
	if _, err := task.Finish(ctx, core.Completion{Outcome: outcome}); err != nil {
		return nil, nil, errors.Join(callErr, err)
	}
	return plan, answer, callErr
}
