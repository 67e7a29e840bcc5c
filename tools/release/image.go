package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is nobody's number, as the chart's pod has it.
const user = "65532:65532"

// repository is the image's name where it is imported without a registry: what a container runtime makes of the chart's default.
const repository = "docker.io/library/kilter"

// image writes the programs for Linux as one image for all their processors: an OCI image layout in a tar archive. Without any it
// writes nothing.
func (r release) image(programs map[platform]string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range r.platforms {
		if p.os != "linux" {
			continue
		}
		image, err := r.imageOf(p, programs[p])
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
		})
	}
	if manifest, err := index.IndexManifest(); err != nil || len(manifest.Manifests) == 0 {
		return err
	}
	dir, err := os.MkdirTemp(r.dir, "layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	names := map[string]string{ // containerd imports by the first, other tools by the second
		"io.containerd.image.name":          repository + ":" + r.version,
		"org.opencontainers.image.ref.name": r.version,
	}
	if err := files.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return err
	}
	return r.archive(dir, r.path(".oci.tar"))
}

// imageOf returns the image for one processor: a layer on nothing.
func (r release) imageOf(p platform, program string) (v1.Image, error) {
	content, err := r.rootFiles(program)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: p.os, Architecture: p.arch, Created: v1.Time{Time: r.created}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: []string{"/kilter"},
			User:       user,
			Labels: map[string]string{
				"org.opencontainers.image.title":    "kilter",
				"org.opencontainers.image.version":  r.version,
				"org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "make image"},
	})
}

// rootFiles returns all that the image holds, as a tar archive: the program, which brings its time zones with it, the certificate
// authorities that Go programs look for at this place, and a /tmp.
func (r release) rootFiles(program string) ([]byte, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	files := tar.NewWriter(&buffer)
	add := func(header tar.Header, content []byte) {
		header.ModTime, header.Size = r.created, int64(len(content))
		if err == nil {
			err = files.WriteHeader(&header)
		}
		if err == nil {
			_, err = files.Write(content)
		}
	}
	for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/"} {
		add(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	add(tar.Header{Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644}, authorities())
	add(tar.Header{Name: "kilter", Mode: 0o755}, content)
	add(tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	if err != nil {
		return nil, err
	}
	return buffer.Bytes(), files.Close()
}

// authorities returns Mozilla's certificate authorities as PEM. Those that it trusts only in part are left out: a file cannot say so.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes everything
		}
	}
	return text.Bytes()
}

// archive writes the files of dir as a tar archive that says nothing of when, where and by whom it was written.
func (r release) archive(dir, path string) (err error) {
	output, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	files := tar.NewWriter(output)
	root := os.DirFS(dir)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		header := tar.Header{Name: name, Mode: 0o644, ModTime: r.created}
		if entry.IsDir() {
			header.Name, header.Mode, header.Typeflag = name+"/", 0o755, tar.TypeDir
			return files.WriteHeader(&header)
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		header.Size = int64(len(content))
		if err := files.WriteHeader(&header); err != nil {
			return err
		}
		_, err = files.Write(content)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", filepath.Base(path), err)
	}
	return files.Close()
}
