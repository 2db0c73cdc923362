// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"errors"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
)

// TestServeHTTP: a gRPC server that is a handler of net/http's, which is another transport,
// records, refuses and answers calls of every kind as it does by itself.
func TestServeHTTP(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w := newWorld(t, requireOnClient)
			l := bufconn.Listen(1 << 20)
			g := grpc.NewServer(grpcect.ServerOptions(w.to.service)...)
			testpb.RegisterTestServiceServer(g, talk())
			server := &http.Server{Handler: g, Protocols: new(http.Protocols), ReadHeaderTimeout: patience}
			server.Protocols.SetUnencryptedHTTP2(true)
			done := make(chan error, 1)
			go func() { done <- server.Serve(l) }()
			t.Cleanup(func() {
				server.Close()
				if err := <-done; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("Serve: %v", err)
				}
			})
			ctx, _ := w.task(t)
			var answer *core.Received
			if err := k.call(ctx, testpb.NewTestServiceClient(w.connect(t, bufTarget, bufOptions(l)...)), grpcect.Answer(&answer)); err != nil || answer == nil {
				t.Fatalf("the call = %v, answered %t", err, answer != nil)
			}
			record := w.to.seen.await(t)
			if !record.InpHash.Present || !record.OutHash.Present || record.Ext.Outcome != core.OutcomeOK {
				t.Errorf("inp_hash = %v, out_hash = %v, outcome %v", record.InpHash, record.OutHash, record.Ext.Outcome)
			}
			bare := testpb.NewTestServiceClient(dial(t, bufTarget, bufOptions(l)...))
			if err := bulkCall(t.Context(), bare, k.name); status.Code(err) != codes.PermissionDenied {
				t.Errorf("a call without a token = %v", err)
			}
		})
	}
}
