// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/examples/grpc/examplepb"
	"github.com/go-ect/ect/examples/internal/demo"
	"github.com/go-ect/ect/grpcect"
)

// attempts is what is made against the running services by who should not get through.
func (c *chain) attempts(ctx context.Context, req *examplepb.PlanRequest) ([]demo.Attempt, error) {
	order, err1 := proto.Marshal(req)
	other, err2 := proto.Marshal(&examplepb.PlanRequest{Product: req.GetProduct(), Destination: req.GetDestination(), Days: 1})
	question, err3 := proto.Marshal(&examplepb.ForecastRequest{Product: req.GetProduct(), Days: req.GetDays()})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	// The shop and the planner start other tasks, and their dispatches fall into the wrong
	// hands.
	toPlanner, err := demo.Dispatches(ctx, c.shop.service, "restock", c.planner.audience(), hashOf(order), 4)
	if err != nil {
		return nil, err
	}
	toForecaster, err := demo.Dispatches(ctx, c.planner.service, "restock", c.forecaster.audience(), hashOf(question), 2)
	if err != nil {
		return nil, err
	}
	forged, err := demo.Forge(toPlanner[1])
	if err != nil {
		return nil, err
	}
	const (
		plan     = examplepb.PlannerService_Plan_FullMethodName
		forecast = examplepb.ForecastService_Forecast_FullMethodName
		quote    = examplepb.CarrierService_Quote_FullMethodName
		denied   = codes.PermissionDenied
	)
	try := func(what string, to *agent, method, token string, message []byte, code codes.Code, reason string) demo.Attempt {
		return demo.Attempt{What: what, At: to.name, Due: demo.Reply{Status: code.String(), Code: reason},
			Send: func(ctx context.Context) (demo.Reply, error) { return send(ctx, to, method, token, message) }}
	}
	return []demo.Attempt{
		try("the token as it was issued", c.planner, plan, toPlanner[0], order, codes.OK, ""),
		try("replay: the same token again", c.planner, plan, toPlanner[0], order, denied, "ECT_REPLAYED"),
		try("tampering: another action in the claims", c.planner, plan, forged.Tampered, order, denied, "ECT_REJECTED"),
		try("tampering: another message under a good token", c.planner, plan, toPlanner[2], other, denied, "ECT_REJECTED"),
		try("downgrade: the claims without a signature", c.planner, plan, forged.Unsigned, order, denied, "ECT_REJECTED"),
		try("downgrade: alg none", c.planner, plan, forged.None, order, denied, "ECT_REJECTED"),
		try("a token for another audience", c.forecaster, forecast, toPlanner[3], question, denied, "ECT_REJECTED"),
		try("no token", c.planner, plan, "", order, denied, "ECT_REQUIRED"),
		try("not a token", c.planner, plan, "a.b", order, codes.InvalidArgument, "ECT_MALFORMED"),
		try("a stream, as it was issued", c.forecaster, forecast, toForecaster[0], question, codes.OK, ""),
		try("a stream again", c.forecaster, forecast, toForecaster[0], question, denied, "ECT_REPLAYED"),
		try("a stream of another message", c.forecaster, forecast, toForecaster[1], other, denied, "ECT_REJECTED"),
		try("a stream without a token", c.carrier, quote, "", question, denied, "ECT_REQUIRED"),
	}, nil
}

// hashOf is what a record of a call with one message names: the message as it is on the
// wire, its length before it.
func hashOf(message []byte) core.Hash {
	return core.HashOf(append(binary.BigEndian.AppendUint64(nil, uint64(len(message))), message...))
}

// send makes a call with one message as a stranger would, without the library's
// interceptors; no token if there is none. On the wire a unary call is a stream of one
// message each way.
func send(ctx context.Context, to *agent, method, token string, message []byte) (got demo.Reply, err error) {
	cc, err := grpc.NewClient(to.target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return demo.Reply{}, err
	}
	defer func() { err = errors.Join(err, cc.Close()) }()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, core.CarrierTokens, token)
	}
	stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodecV2(bytesCodec{}))
	if err != nil {
		return demo.Reply{}, err
	}
	// Where the stream ended, Send says io.EOF, and Recv why.
	if err := stream.SendMsg(message); err != nil && !errors.Is(err, io.EOF) {
		return demo.Reply{}, err
	}
	if err := stream.CloseSend(); err != nil {
		return demo.Reply{}, err
	}
	for {
		err := stream.RecvMsg(nil)
		switch {
		case errors.Is(err, io.EOF):
			return demo.Reply{Status: codes.OK.String()}, nil
		case err != nil:
			return replyOf(status.Convert(err))
		}
	}
}

// replyOf reads a status as any client can.
func replyOf(st *status.Status) (demo.Reply, error) {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == grpcect.ErrorDomain {
			return demo.Reply{Status: st.Code().String(), Code: info.GetReason()}, nil
		}
	}
	return demo.Reply{}, fmt.Errorf("not an answer about tokens: %w", st.Err())
}

// bytesCodec sends bytes as they are, and drops what comes. It poses as the codec for
// protobuf.
type bytesCodec struct{}

// Name implements encoding.CodecV2.
func (bytesCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("not bytes but %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (bytesCodec) Unmarshal(mem.BufferSlice, any) error { return nil }
