/** Stored uploads as the JSON API sends them. Times in ISO 8601. */
import type { StoredUpload } from '../../uploads/uploads.js'

/** What an upload, and a fetch into a namespace, are answered. */
export const serializeUpload = ({
  imageId,
  url,
  width,
  height,
  alpha,
  animated,
  color,
  thumbhash,
}: StoredUpload): Record<string, unknown> => ({
  image_id: imageId,
  url,
  width,
  height,
  alpha,
  animated,
  color,
  thumbhash,
})

/** One of a list. */
export const serializeListed = (upload: StoredUpload): Record<string, unknown> => ({
  ...serializeUpload(upload),
  content_type: upload.contentType,
  bytes: upload.bytes,
  stored_at: new Date(upload.storedAt).toISOString(),
})
