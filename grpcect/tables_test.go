// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// table is a message that is a value, and whose serialization varies.
type table map[string]string

// void is a message that takes no memory, so that all of them can have one address.
type void struct{}

// tables is a codec of such messages, of grpc-go's first interface.
type tables struct{}

var errTable = errors.New("not a table")

func (tables) Name() string { return "tables" }

func (tables) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case void, *void:
		return nil, nil
	case table:
		var b strings.Builder
		for k, val := range v { // in any order
			fmt.Fprintf(&b, "%s=%s;", k, val)
		}
		return []byte(b.String()), nil
	}
	return nil, errTable
}

func (tables) Unmarshal(data []byte, v any) error {
	switch v := v.(type) {
	case *void:
		return nil
	case *table:
		*v = table{}
		for e := range strings.SplitSeq(string(data), ";") {
			if k, val, ok := strings.Cut(e, "="); ok {
				(*v)[k] = val
			}
		}
		return nil
	}
	return errTable
}

const tableMethod, voidMethod = "/tables.Tables/Echo", "/tables.Tables/Void"

// tableService has one method that echoes tables and one that looks at nothing.
func tableService(state func(core.BodyState)) *grpc.ServiceDesc {
	method := func(name string, in func() any, out func(any) any) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, dec func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
			m := in()
			if err := dec(m); err != nil {
				return nil, err
			}
			return i(ctx, m, &grpc.UnaryServerInfo{FullMethod: "/tables.Tables/" + name}, func(ctx context.Context, m any) (any, error) {
				if task, ok := core.TaskFromContext(ctx); ok {
					state(task.BodyState())
				}
				return out(m), nil
			})
		}}
	}
	return &grpc.ServiceDesc{ServiceName: "tables.Tables", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		method("Echo", func() any { return new(table) }, func(m any) any { return *m.(*table) }),
		method("Void", func() any { return new(void) }, func(any) any { return void{} }),
	}}
}

// dialTables runs that service.
func dialTables(t *testing.T, w *world, state func(core.BodyState)) (ours, bare *grpc.ClientConn) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	hook := grpcect.NewCodecV1(tables{})
	server := grpc.NewServer(grpcect.ServerOptions(w.to.service, append(w.server, grpcect.WithCodec(hook))...)...)
	server.RegisterService(tableService(state), nil)
	run(t, server, l)
	opts := append(bufOptions(l), hook.DialOption())
	return w.connect(t, bufTarget, opts...), dial(t, bufTarget, opts...)
}

// TestValueMessages: messages that are no pointers are serialized once as well, and sent as
// they were hashed.
func TestValueMessages(t *testing.T) {
	w := newWorld(t, func(w *world) { w.from.policy.Body, w.to.policy.Body = core.BodyRequire, core.BodyRequire })
	cc, _ := dialTables(t, w, func(core.BodyState) {})
	sent := table{}
	for n := range 20 {
		sent[fmt.Sprint(n)] = fmt.Sprint(n * n)
	}
	ctx, _ := w.task(t)
	for range 5 {
		var got table
		if err := cc.Invoke(ctx, tableMethod, sent, &got); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, sent) {
			t.Errorf("sent %v, got %v", sent, got)
		}
	}
}
