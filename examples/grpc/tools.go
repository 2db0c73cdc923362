// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/examples/grpc/examplepb"
)

// maxDays is how far a forecast goes.
const maxDays = 31

// forecaster knows how a week goes.
type forecaster struct {
	examplepb.UnimplementedForecastServiceServer
}

// demand is the units of a product that sell on each day of a week, from tomorrow on.
var demand = map[string][7]uint32{
	"oat milk":  {120, 90, 95, 110, 180, 210, 60},
	"batteries": {40, 40, 40, 40, 45, 60, 20},
}

// Forecast implements ForecastService.
func (forecaster) Forecast(req *examplepb.ForecastRequest, stream grpc.ServerStreamingServer[examplepb.ForecastResponse]) error {
	week, ok := demand[req.GetProduct()]
	switch {
	case !ok:
		return status.Error(codes.NotFound, "nobody sells this product")
	case req.GetDays() > maxDays:
		return status.Errorf(codes.InvalidArgument, "a forecast goes %d days at most", maxDays)
	}
	for day := range req.GetDays() {
		err := stream.Send(&examplepb.ForecastResponse{Day: day + 1, Units: week[day%7]})
		if err != nil {
			return err
		}
	}
	return nil
}

// carrier knows its lanes.
type carrier struct {
	examplepb.UnimplementedCarrierServiceServer
}

// lane is from where to where.
type lane struct{ origin, destination string }

// offers is what the carrier takes.
var offers = map[lane]struct {
	days           uint32
	centsPerPallet uint64
}{
	{"Rotterdam", "Hamburg"}: {2, 8_450},
	{"Leipzig", "Hamburg"}:   {1, 11_900},
	{"Lyon", "Hamburg"}:      {4, 6_200},
	{"Rotterdam", "Munich"}:  {3, 13_300},
	{"Leipzig", "Munich"}:    {1, 9_750},
}

// Quote implements CarrierService. It answers each message as it comes.
func (carrier) Quote(stream grpc.BidiStreamingServer[examplepb.QuoteRequest, examplepb.QuoteResponse]) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		offer, ok := offers[lane{req.GetOrigin(), req.GetDestination()}]
		if !ok {
			return status.Error(codes.NotFound, "nobody drives there")
		}
		err = stream.Send(&examplepb.QuoteResponse{
			Origin: req.GetOrigin(), Days: offer.days, CentsPerPallet: offer.centsPerPallet,
		})
		if err != nil {
			return err
		}
	}
}
