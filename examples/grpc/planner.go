// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/grpc/examplepb"
)

// planner plans orders with what its two tools say.
type planner struct {
	examplepb.UnimplementedPlannerServiceServer
	identity  string
	forecasts examplepb.ForecastServiceClient
	carriers  examplepb.CarrierServiceClient
}

// warehouses is where pallets can come from.
var warehouses = []string{"Rotterdam", "Leipzig", "Lyon"}

// Plan implements PlannerService. The two calls are branches whatever their timing, and
// the plan comes after both.
func (p *planner) Plan(ctx context.Context, req *examplepb.PlanRequest) (*examplepb.PlanResponse, error) {
	if req.GetDays() < 1 || req.GetDays() > maxDays {
		return nil, status.Errorf(codes.InvalidArgument, "a plan is for 1 to %d days", maxDays)
	}
	task, ok := core.TaskFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no task")
	}
	var units []uint32
	var quotes []*examplepb.QuoteResponse
	var unitsErr, quotesErr error
	fork := task.Fork(ctx)
	toForecaster, toCarrier := fork.Branch(ctx), fork.Branch(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { units, unitsErr = p.forecast(toForecaster, req) })
	wg.Go(func() { quotes, quotesErr = p.quote(toCarrier, req) })
	wg.Wait()
	fork.Join()
	if err := errors.Join(unitsErr, quotesErr); err != nil {
		return nil, toolError(unitsErr, quotesErr)
	}
	plan := choose(req.GetStock(), units, quotes)
	// The record of the task says which policy decided what.
	err := task.Checkpoint(core.PolicyCheckpoint{
		Policy: "orders/v2", Decision: core.Decision(plan.GetDecision()), Enforcer: p.identity, Time: time.Now(),
	})
	if err != nil {
		return nil, status.Error(codes.Internal, "the decision could not be recorded")
	}
	return plan, nil
}

// toolError is what the planner's caller is told: what its order caused, and nothing else of
// what went on between the planner and its tools.
func toolError(errs ...error) error {
	for _, err := range errs {
		switch code := status.Code(err); code {
		case codes.NotFound, codes.Canceled, codes.DeadlineExceeded:
			return status.Error(code, status.Convert(err).Message())
		}
	}
	return status.Error(codes.Internal, "the order could not be planned")
}

// forecast asks for the units of each day. Reading the stream to its end is what verifies it.
func (p *planner) forecast(ctx context.Context, req *examplepb.PlanRequest) ([]uint32, error) {
	ctx, cancel := context.WithCancel(ctx) // a stream that is left early ends with its context
	defer cancel()
	stream, err := p.forecasts.Forecast(ctx, &examplepb.ForecastRequest{Product: req.GetProduct(), Days: req.GetDays()})
	if err != nil {
		return nil, err
	}
	var units []uint32
	for {
		day, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && len(units) == int(req.GetDays()):
			return units, nil
		case errors.Is(err, io.EOF) || err == nil && day.GetDay() != uint32(len(units)+1):
			return nil, errors.New("the forecast is not of the days that were asked for")
		case err != nil:
			return nil, err
		}
		units = append(units, day.GetUnits())
	}
}

// quote asks for a price from each warehouse.
func (p *planner) quote(ctx context.Context, req *examplepb.PlanRequest) ([]*examplepb.QuoteResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.carriers.Quote(ctx)
	if err != nil {
		return nil, err
	}
	var quotes []*examplepb.QuoteResponse
	for _, origin := range warehouses {
		// Where the stream ended, Send says io.EOF, and Recv why.
		err := stream.Send(&examplepb.QuoteRequest{Origin: origin, Destination: req.GetDestination()})
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		quote, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		quotes = append(quotes, quote)
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	switch _, err := stream.Recv(); {
	case err == nil:
		return nil, errors.New("the carrier gave a price that nobody asked for")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return quotes, nil
}

const (
	unitsPerPallet = 48
	// budget is what an order may cost without a person looking at it, in cents.
	budget = 150_000
)

// choose orders what the stock lacks, from the cheapest warehouse whose pallets arrive
// before the stock is out, or else from the fastest.
func choose(stock uint32, units []uint32, quotes []*examplepb.QuoteResponse) *examplepb.PlanResponse {
	var total uint64
	var lasts uint32 // for how many days the stock does
	for day, n := range units {
		if total += uint64(n); total <= uint64(stock) {
			lasts = uint32(day + 1)
		}
	}
	if total <= uint64(stock) {
		return &examplepb.PlanResponse{Decision: string(core.Approved), Reason: "the stock lasts"}
	}
	better := func(a, b *examplepb.QuoteResponse) bool {
		aInTime, bInTime := a.GetDays() <= lasts, b.GetDays() <= lasts
		switch {
		case aInTime != bInTime:
			return aInTime
		case aInTime:
			return a.GetCentsPerPallet() < b.GetCentsPerPallet()
		}
		return a.GetDays() < b.GetDays()
	}
	best := quotes[0]
	for _, q := range quotes[1:] {
		if better(q, best) {
			best = q
		}
	}
	pallets := (total - uint64(stock) + unitsPerPallet - 1) / unitsPerPallet
	plan := &examplepb.PlanResponse{
		Pallets: uint32(pallets), Origin: best.GetOrigin(), ArrivalDay: best.GetDays(),
		CostCents: pallets * best.GetCentsPerPallet(), Decision: string(core.Approved), Reason: "within the budget",
	}
	switch {
	case best.GetDays() > lasts:
		plan.Decision, plan.Reason = string(core.PendingHumanReview), "nothing arrives in time"
	case plan.GetCostCents() > budget:
		plan.Decision, plan.Reason = string(core.PendingHumanReview), "over the budget"
	}
	return plan
}
