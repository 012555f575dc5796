import {
  AbortMultipartUploadCommand,
  type AbortMultipartUploadCommandInput,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  DeleteObjectCommand,
  type DeleteObjectCommandInput,
  DeleteObjectsCommand,
  type DeleteObjectsCommandInput,
  GetBucketVersioningCommand,
  type GetBucketVersioningCommandInput,
  GetObjectCommand,
  type GetObjectCommandInput,
  GetObjectLockConfigurationCommand,
  type GetObjectLockConfigurationCommandInput,
  HeadObjectCommand,
  type HeadObjectCommandInput,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandInput,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandInput,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectRetentionCommand,
  type PutObjectRetentionCommandInput,
  S3Client,
  UploadPartCommand,
  type UploadPartCommandInput,
  UploadPartCopyCommand,
  type UploadPartCopyCommandInput,
} from '@aws-sdk/client-s3'

/** Options that every request takes. */
export interface S3CallOptions {
  readonly abortSignal?: AbortSignal
}

/**
 * The client of AWS with the requests that are sent here, by the names that it has for them itself. One of its own with these
 * methods brings a hundred other requests along, half of the memory and of the time that it takes to load.
 */
export class S3 extends S3Client {
  abortMultipartUpload(input: AbortMultipartUploadCommandInput, options?: S3CallOptions) {
    return this.send(new AbortMultipartUploadCommand(input), options)
  }

  completeMultipartUpload(input: CompleteMultipartUploadCommandInput, options?: S3CallOptions) {
    return this.send(new CompleteMultipartUploadCommand(input), options)
  }

  copyObject(input: CopyObjectCommandInput, options?: S3CallOptions) {
    return this.send(new CopyObjectCommand(input), options)
  }

  createMultipartUpload(input: CreateMultipartUploadCommandInput, options?: S3CallOptions) {
    return this.send(new CreateMultipartUploadCommand(input), options)
  }

  deleteObject(input: DeleteObjectCommandInput, options?: S3CallOptions) {
    return this.send(new DeleteObjectCommand(input), options)
  }

  deleteObjects(input: DeleteObjectsCommandInput, options?: S3CallOptions) {
    return this.send(new DeleteObjectsCommand(input), options)
  }

  getBucketVersioning(input: GetBucketVersioningCommandInput, options?: S3CallOptions) {
    return this.send(new GetBucketVersioningCommand(input), options)
  }

  getObject(input: GetObjectCommandInput, options?: S3CallOptions) {
    return this.send(new GetObjectCommand(input), options)
  }

  getObjectLockConfiguration(
    input: GetObjectLockConfigurationCommandInput,
    options?: S3CallOptions,
  ) {
    return this.send(new GetObjectLockConfigurationCommand(input), options)
  }

  headObject(input: HeadObjectCommandInput, options?: S3CallOptions) {
    return this.send(new HeadObjectCommand(input), options)
  }

  listMultipartUploads(input: ListMultipartUploadsCommandInput, options?: S3CallOptions) {
    return this.send(new ListMultipartUploadsCommand(input), options)
  }

  listObjectsV2(input: ListObjectsV2CommandInput, options?: S3CallOptions) {
    return this.send(new ListObjectsV2Command(input), options)
  }

  listObjectVersions(input: ListObjectVersionsCommandInput, options?: S3CallOptions) {
    return this.send(new ListObjectVersionsCommand(input), options)
  }

  putObject(input: PutObjectCommandInput, options?: S3CallOptions) {
    return this.send(new PutObjectCommand(input), options)
  }

  putObjectRetention(input: PutObjectRetentionCommandInput, options?: S3CallOptions) {
    return this.send(new PutObjectRetentionCommand(input), options)
  }

  uploadPart(input: UploadPartCommandInput, options?: S3CallOptions) {
    return this.send(new UploadPartCommand(input), options)
  }

  uploadPartCopy(input: UploadPartCopyCommandInput, options?: S3CallOptions) {
    return this.send(new UploadPartCopyCommand(input), options)
  }
}
