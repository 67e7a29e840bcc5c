package main

import (
	"context"
	"fmt"

	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// ensureStorageClass creates the default StorageClass. Volumes of it exist in name only: stages/claim-provision.yaml and
// stages/volume-delete.yaml make and delete them.
func ensureStorageClass(ctx context.Context, client kubernetes.Interface) error {
	class := &storage.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "devcluster",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: "devcluster.kilter.dev",
	}
	_, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("cannot create StorageClass %s: %w", class.Name, err)
	}
	return nil
}
