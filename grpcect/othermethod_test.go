// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestOtherMethodInside: a handler calls another method of its own process, through that
// method's interceptors and with the context of its own call. What was verified for the one
// method was not verified for the other, which asks for more.
func TestOtherMethodInside(t *testing.T) {
	const asked = "/ect.test.v1.TestService/Put"
	w := newWorld(t, acceptL1)
	hook := given()
	inside := grpcect.UnaryServerInterceptor(w.to.service, hook, grpcect.WithMethodMinLevel(asked, core.L2))
	reached := false
	s := &stub{unary: func(ctx context.Context, m *testpb.Message) (*testpb.Message, error) {
		_, err := inside(ctx, m, &grpc.UnaryServerInfo{FullMethod: asked}, func(context.Context, any) (any, error) {
			reached = true
			return &testpb.Message{}, nil
		})
		return m, err
	}}
	if o := present(t, w.bare(t, s), kinds[0].call, w.unsigned(t)); o.err == nil || reached {
		t.Errorf("the call = %v, reached %t", o.err, reached)
	}
}
