// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/grpcect"
	"github.com/go-ect/ect/grpcect/internal/testpb"
	"github.com/go-ect/ect/internal/section"
)

// TestMetadataBytes: the limit on metadata that is set holds where it was, and one byte less
// is too little, for calls and for answers of every kind.
func TestMetadataBytes(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			optional := func(w *world) { w.from.tells.Answer = core.AnswerOptional }
			call := func(edit func(*world)) (*world, error) {
				w := newWorld(t, optional, edit)
				ctx, _ := w.task(t)
				return w, k.call(ctx, testpb.NewTestServiceClient(dialBufconn(t, w, talk())))
			}
			w, err := call(func(*world) {})
			if err != nil {
				t.Fatal(err)
			}
			sizeOf := func(s *side) int {
				all := s.seen.tokens()
				return section.Size(metadata.MD{core.CarrierTokens: {all[len(all)-1].Text()}})
			}
			dispatch, record := sizeOf(w.from), sizeOf(w.to)+section.Size(metadata.MD{"grpc-status": {"0"}, "grpc-message": {""}})
			for less := range 2 {
				w, err := call(func(w *world) { w.client = append(w.client, grpcect.WithMetadataBytes(dispatch-less)) })
				if less == 0 && err != nil || less == 1 && (status.Code(err) != codes.ResourceExhausted || len(w.to.seen.tokens()) > 0) {
					t.Errorf("%d bytes less than a dispatch has: the call = %v", less, err)
				}
				w, err = call(func(w *world) { w.server = append(w.server, grpcect.WithMetadataBytes(record-less)) })
				if err != nil || len(w.to.seen.unsent) != less {
					t.Errorf("%d bytes less than an answer has: the call = %v, %d records were not sent", less, err, len(w.to.seen.unsent))
				}
			}
		})
	}
}
