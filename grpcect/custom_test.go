// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/grpcect"
)

// Messages that are none of protobuf.
type (
	// blob wraps bytes.
	blob struct{ Data []byte }
	// dot is so small that several share a block of memory.
	dot struct{ X int8 }
	// unit has no size: all of them have one address.
	unit struct{}
	// bag is itself a reference.
	bag map[string]string
)

// jsonCodec writes messages as JSON.
type jsonCodec struct{}

// jsonName is what the codec is registered as.
const jsonName = "ect-test-json"

func (jsonCodec) Name() string { return jsonName }

func (jsonCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	// In two buffers, as a codec may.
	half := len(data) / 2
	return mem.BufferSlice{mem.SliceBuffer(data[:half]), mem.SliceBuffer(data[half:])}, nil
}

func (jsonCodec) Unmarshal(data mem.BufferSlice, v any) error {
	return json.Unmarshal(data.Materialize(), v)
}

// jsonCodecV1 is the same codec with grpc-go's first interface.
type jsonCodecV1 struct{}

func (jsonCodecV1) Name() string                       { return jsonName }
func (jsonCodecV1) String() string                     { return jsonName }
func (jsonCodecV1) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodecV1) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func init() { encoding.RegisterCodecV2(jsonCodec{}) }

// customPath begins the path of every method of the service that desc describes.
const customPath = "/ect.test.custom/"

// desc describes a service that gives back what it gets, in messages of any type: unary,
// and as a stream of each kind. A stream of replies has the request three times, a reply to
// a stream the last message of it.
func desc[T any](ran func()) *grpc.ServiceDesc {
	stream := func(name string, client, server bool, times int) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, ClientStreams: client, ServerStreams: server, Handler: func(_ any, st grpc.ServerStream) error {
			ran()
			last := new(T)
			for {
				m := new(T)
				if err := st.RecvMsg(m); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					return err
				}
				if last = m; !client {
					break
				}
			}
			for range times {
				if err := st.SendMsg(last); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: "ect.test.custom", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(srv any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (any, error) {
			m := new(T)
			if err := dec(m); err != nil {
				return nil, err
			}
			return in(ctx, m, &grpc.UnaryServerInfo{Server: srv, FullMethod: customPath + "Unary"}, func(_ context.Context, req any) (any, error) {
				ran()
				return req, nil
			})
		}}},
		Streams: []grpc.StreamDesc{stream("ServerStream", false, true, 3), stream("ClientStream", true, false, 1), stream("BidiStream", true, true, 3)},
	}
}

// custom runs a service that desc describes and returns a connection of the world's caller
// to it.
func (w *world) custom(t testing.TB, d *grpc.ServiceDesc, opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(append(grpcect.ServerOptions(w.to.service, w.server...), opts...)...)
	server.RegisterService(d, nil)
	run(t, server, l)
	return w.connect(t, bufTarget, bufOptions(l)...)
}

// customCall makes a call of any kind that sends the same message, thrice where it can, and
// returns how often it was sent and one came.
func customCall[T any](ctx context.Context, cc *grpc.ClientConn, method string, message *T, opts ...grpc.CallOption) (sent, came int, err error) {
	d := &grpc.StreamDesc{}
	sent = 3
	switch method {
	case "Unary":
		return 1, 1, cc.Invoke(ctx, customPath+method, message, new(T), opts...)
	case "ServerStream":
		d.ServerStreams, sent = true, 1
	case "ClientStream":
		d.ClientStreams = true
	default:
		d.ServerStreams, d.ClientStreams = true, true
	}
	st, err := cc.NewStream(ctx, d, customPath+method, opts...)
	if err != nil {
		return 0, 0, err
	}
	for range sent {
		if err := st.SendMsg(message); err != nil && !errors.Is(err, io.EOF) {
			return sent, 0, err
		}
	}
	if err := st.CloseSend(); err != nil {
		return sent, 0, err
	}
	for {
		if err := st.RecvMsg(new(T)); errors.Is(err, io.EOF) {
			return sent, came, nil
		} else if err != nil {
			return sent, came, err
		}
		came++
	}
}
