// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
)

// panicOf returns what a function panicked with, "" if it did not.
func panicOf(f func()) (why string) {
	defer func() {
		if p := recover(); p != nil {
			why = fmt.Sprint(p)
		}
	}()
	f()
	return ""
}

// given returns a hook that some server was given.
func given() *grpcect.Codec {
	c := grpcect.NewCodec(nil)
	c.ServerOption()
	return c
}

// TestServerWiring: what server interceptors cannot be made of shows as the program starts,
// and says what it is. Requirements are only raised: at the least level and above it they can
// be made.
func TestServerWiring(t *testing.T) {
	const method = "/ect.test.v1.TestService/Unary"
	for _, c := range []struct {
		name   string
		policy core.Level
		opts   []grpcect.Option
		why    string
	}{
		{"nothing", core.L2, nil, ""},
		{"the last mode", core.L2, []grpcect.Option{grpcect.WithMode(core.Observe)}, ""},
		{"no metadata at all", core.L2, []grpcect.Option{grpcect.WithMetadataBytes(0)}, ""},
		{"less than none", core.L2, []grpcect.Option{grpcect.WithMetadataBytes(-1)}, "WithMetadataBytes"},
		{"no such mode", core.L2, []grpcect.Option{grpcect.WithMode(core.Observe + 1)}, "WithMode"},
		{"level below the policy's", core.L2, []grpcect.Option{grpcect.WithMinLevel(core.L1)}, "WithMinLevel"},
		{"level of the policy", core.L2, []grpcect.Option{grpcect.WithMinLevel(core.L2)}, ""},
		{"level above the policy's", core.L1, []grpcect.Option{grpcect.WithMinLevel(core.L2)}, ""},
		{"the highest level", core.L2, []grpcect.Option{grpcect.WithMinLevel(core.L3)}, ""},
		{"no such level", core.L2, []grpcect.Option{grpcect.WithMinLevel(core.L3 + 1)}, "WithMinLevel"},
		{"a later option is it", core.L2, []grpcect.Option{grpcect.WithMinLevel(core.L3), grpcect.WithMinLevel(core.L1)}, "WithMinLevel"},
		{"method below the policy", core.L2, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L1)}, "WithMethodMinLevel"},
		{"method at the policy", core.L2, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L2)}, ""},
		{"method above the policy", core.L2, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L3)}, ""},
		{"method below the others", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L1), grpcect.WithMinLevel(core.L2)}, "WithMethodMinLevel"},
		{"method at the others", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L2), grpcect.WithMinLevel(core.L2)}, ""},
		{"one method of two below", core.L2, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L3), grpcect.WithMethodMinLevel(method+"2", core.L1)}, "WithMethodMinLevel"},
		{"method without a level", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel(method, 0)}, "WithMethodMinLevel"},
		{"method, no such level", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel(method, core.L3+1)}, "WithMethodMinLevel"},
		{"method without a slash", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel("Unary", core.L2)}, "WithMethodMinLevel"},
		{"method without the leading slash", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel(method[1:], core.L2)}, "WithMethodMinLevel"},
		{"method without a name", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel("/ect.test.v1.TestService/", core.L2)}, "WithMethodMinLevel"},
		{"method without a service", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel("//Unary", core.L2)}, "WithMethodMinLevel"},
		{"method with a third part", core.L1, []grpcect.Option{grpcect.WithMethodMinLevel(method+"/x", core.L2)}, "WithMethodMinLevel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.to.policy.MinLevel = c.policy })
			for name, wire := range map[string]func(){
				"UnaryServerInterceptor":  func() { grpcect.UnaryServerInterceptor(w.to.service, given(), c.opts...) },
				"StreamServerInterceptor": func() { grpcect.StreamServerInterceptor(w.to.service, given(), c.opts...) },
				"ServerOptions":           func() { grpcect.ServerOptions(w.to.service, c.opts...) },
			} {
				got := panicOf(wire)
				if (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
					t.Errorf("%s panics with %q, want that it speaks of %q", name, got, c.why)
				}
				if got != "" && !strings.HasPrefix(got, "grpcect.") {
					t.Errorf("%s panics with %q, which does not say where", name, got)
				}
			}
		})
	}
}

// TestServerWiringWithout: interceptors need a service, and a hook that a server was given.
func TestServerWiringWithout(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		wire func()
		why  string
	}{
		"unary, no service":     {func() { grpcect.UnaryServerInterceptor(nil, given()) }, "the service is nil"},
		"stream, no service":    {func() { grpcect.StreamServerInterceptor(nil, given()) }, "the service is nil"},
		"options, no service":   {func() { grpcect.ServerOptions(nil) }, "the service is nil"},
		"unary, no codec":       {func() { grpcect.UnaryServerInterceptor(w.to.service, nil) }, "the codec is nil"},
		"stream, no codec":      {func() { grpcect.StreamServerInterceptor(w.to.service, nil) }, "the codec is nil"},
		"unary, unused codec":   {func() { grpcect.UnaryServerInterceptor(w.to.service, grpcect.NewCodec(nil)) }, "given to no server"},
		"stream, unused codec":  {func() { grpcect.StreamServerInterceptor(w.to.service, grpcect.NewCodec(nil)) }, "given to no server"},
		"client unary, nobody":  {func() { grpcect.UnaryClientInterceptor(nil) }, "the service is nil"},
		"client stream, nobody": {func() { grpcect.StreamClientInterceptor(nil) }, "the service is nil"},
		"dial, nobody":          {func() { grpcect.DialOptions(nil) }, "the service is nil"},
	} {
		if got := panicOf(c.wire); !strings.HasPrefix(got, "grpcect.") || !strings.Contains(got, c.why) {
			t.Errorf("%s: panics with %q, want %q", name, got, c.why)
		}
	}
	if got := panicOf(func() { grpcect.ServerOptions(w.to.service, grpcect.WithCodec(grpcect.NewCodec(nil))) }); got != "" {
		t.Errorf("ServerOptions with a codec of one's own panics with %q", got)
	}
	if got := panicOf(func() { grpcect.ServerOptions(w.to.service, grpcect.WithCodec(nil)) }); got != "" {
		t.Errorf("ServerOptions with the codec left out panics with %q", got)
	}
}

// TestClientWiring: client interceptors need a service that records, and a peer that it
// tells if they are told of one.
func TestClientWiring(t *testing.T) {
	w := newWorld(t)
	silent := newWorld(t, func(w *world) { w.from.tells.Tokens = false; w.from.tells.Answer = 0; w.client = nil })
	vague := newWorld(t, func(w *world) { w.from.tells.Answer = 0 })
	verifies := newWorld(t)
	verifies.verifyOnly(t)
	for name, c := range map[string]struct {
		service *core.Service
		opts    []grpcect.ClientOption
		why     string
	}{
		"by endpoint":           {w.from.service, nil, ""},
		"by identity":           {w.from.service, []grpcect.ClientOption{grpcect.WithAudience(w.to.agent.Identity)}, ""},
		"no endpoint leads":     {silent.from.service, nil, ""},
		"records nothing":       {verifies.to.service, nil, "no issuer"},
		"nobody of that name":   {w.from.service, []grpcect.ClientOption{grpcect.WithAudience("spiffe://test.example/another")}, "WithAudience"},
		"named, and told not":   {silent.from.service, []grpcect.ClientOption{grpcect.WithAudience(w.to.agent.Identity)}, "WithAudience"},
		"named, answers or not": {vague.from.service, []grpcect.ClientOption{grpcect.WithAudience(w.to.agent.Identity)}, "must answer"},
		"vague, by endpoint":    {vague.from.service, nil, ""}, // it has none, so no call goes there
		"no metadata at all":    {w.from.service, []grpcect.ClientOption{grpcect.WithMetadataBytes(0)}, ""},
		"less than none":        {w.from.service, []grpcect.ClientOption{grpcect.WithMetadataBytes(-1)}, "WithMetadataBytes"},
		"the last name counts":  {w.from.service, []grpcect.ClientOption{grpcect.WithAudience(w.to.agent.Identity), grpcect.WithAudience("x")}, "WithAudience"},
		"the last name is good": {w.from.service, []grpcect.ClientOption{grpcect.WithAudience("x"), grpcect.WithAudience(w.to.agent.Identity)}, ""},
	} {
		for who, wire := range map[string]func(){
			"UnaryClientInterceptor":  func() { grpcect.UnaryClientInterceptor(c.service, c.opts...) },
			"StreamClientInterceptor": func() { grpcect.StreamClientInterceptor(c.service, c.opts...) },
			"DialOptions":             func() { grpcect.DialOptions(c.service, c.opts...) },
		} {
			got := panicOf(wire)
			if (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
				t.Errorf("%s, %s: panics with %q, want %q", name, who, got, c.why)
			}
		}
	}
}

// TestServerOptionsStand: ServerOptions are what a server can be made of, several times over.
func TestServerOptionsStand(t *testing.T) {
	w := newWorld(t)
	opts := grpcect.ServerOptions(w.to.service)
	for range 2 {
		grpc.NewServer(opts...).Stop()
	}
}
